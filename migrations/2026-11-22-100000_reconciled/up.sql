-- 1: added from Asterisk's CDR, since the call ran wholly inside a gap.
ALTER TABLE calls ADD COLUMN reconciled BOOLEAN NOT NULL DEFAULT 0;
