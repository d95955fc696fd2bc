ALTER TABLE calls DROP COLUMN reconciled;
