-- The first schema. Times are UTC text, YYYY-MM-DDTHH:MM:SS.mmmZ, which sorts as the moments do.
-- Durations are milliseconds. NULL means "not known" or "not happened".
-- `node` names the Asterisk server and is part of every key: channel ids of two servers can collide.

-- One row for each call; src/db/calls.rs says what the columns mean.
CREATE TABLE calls (
    id            INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    uid           TEXT    NOT NULL UNIQUE,
    node          TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    direction     TEXT,
    trunk         TEXT,
    did           TEXT,
    caller_number TEXT,
    caller_name   TEXT,
    dialed_number TEXT,
    callee_number TEXT,
    callee_name   TEXT,
    answered_kind TEXT,
    started_at    TEXT    NOT NULL,
    answered_at   TEXT,
    ended_at      TEXT,
    wait_ms       BIGINT,
    ring_ms       BIGINT,
    talk_ms       BIGINT,
    hold_ms       BIGINT,
    ended_by      TEXT,
    cause         INTEGER,
    sip_status    INTEGER,
    incomplete    BOOLEAN NOT NULL DEFAULT 0,
    created_at    TEXT    NOT NULL,
    updated_at    TEXT    NOT NULL,
    caller_e164   TEXT,
    dialed_e164   TEXT,
    callee_e164   TEXT,
    protocol_id   TEXT,
    legs          INTEGER NOT NULL DEFAULT 0
);
-- The last calls, and with `status` in it the counts by status (in a span of time too) from the index alone.
CREATE INDEX calls_by_time ON calls (created_at, status);
-- What is open after a start: as small as the number of open calls.
CREATE INDEX calls_open ON calls (node) WHERE ended_at IS NULL;

-- One row for each stay of a channel in a call; src/db/legs.rs.
CREATE TABLE legs (
    id                 INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    call_uid           TEXT    NOT NULL,
    node               TEXT    NOT NULL,
    channel_id         TEXT    NOT NULL,
    channel_created_at TEXT    NOT NULL,
    stay               INTEGER NOT NULL DEFAULT 0,
    channel_name       TEXT    NOT NULL,
    role               TEXT    NOT NULL,
    endpoint           TEXT    NOT NULL,
    number             TEXT,
    name               TEXT,
    number_e164        TEXT,
    dialed_by          TEXT,
    started_at         TEXT    NOT NULL,
    ringing_at         TEXT,
    answered_at        TEXT,
    ended_at           TEXT,
    hold_ms            BIGINT  NOT NULL DEFAULT 0,
    cause              INTEGER,
    sip_status         INTEGER,
    protocol_id        TEXT,
    last_event_seq     BIGINT,
    updated_at         TEXT    NOT NULL,
    UNIQUE (node, channel_id, channel_created_at, stay)
);
CREATE INDEX legs_by_call ON legs (call_uid);
CREATE INDEX legs_open ON legs (node) WHERE ended_at IS NULL;

-- The raw log, in the order in which it was received; src/db/events.rs. No index but the primary key: one
-- on the channel would halve the writing speed. A call's events are found along prev_seq from its legs.
CREATE TABLE events (
    seq        INTEGER NOT NULL PRIMARY KEY,
    node       TEXT    NOT NULL,
    at         TEXT    NOT NULL,
    type       TEXT    NOT NULL,
    channel_id TEXT,
    bridge_id  TEXT,
    prev_seq   BIGINT,
    body       TEXT    NOT NULL
);

-- What became of the events, numbered inside the transaction that made it so; src/db/changes.rs.
CREATE TABLE changes (
    seq      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    node     TEXT    NOT NULL,
    at       TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    call_uid TEXT,
    body     TEXT    NOT NULL
);

-- Spans in which something could not be seen; src/db/gaps.rs.
CREATE TABLE gaps (
    id            INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    node          TEXT    NOT NULL,
    stream        TEXT    NOT NULL,
    position      BIGINT  NOT NULL,
    since         TEXT    NOT NULL,
    until         TEXT    NOT NULL,
    reason        TEXT    NOT NULL,
    calls_touched INTEGER NOT NULL DEFAULT 0,
    sample        TEXT,
    UNIQUE (node, stream, position)
);

-- The latest known state of each endpoint; src/db/endpoints.rs.
CREATE TABLE endpoints (
    node       TEXT NOT NULL,
    tech       TEXT NOT NULL,
    resource   TEXT NOT NULL,
    state      TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (node, tech, resource)
) WITHOUT ROWID;

-- Recordings that Asterisk made; src/db/recordings.rs.
CREATE TABLE recordings (
    id         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    node       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    format     TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    duration_s BIGINT,
    call_uid   TEXT,
    started_at TEXT    NOT NULL,
    ended_at   TEXT,
    UNIQUE (node, name, started_at)
);
CREATE INDEX recordings_by_call ON recordings (call_uid) WHERE call_uid IS NOT NULL;

-- The audit: each request of ours that changes something, and its outcome; src/db/commands.rs.
CREATE TABLE commands (
    seq         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    node        TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    at          TEXT    NOT NULL,
    who         TEXT    NOT NULL,
    method      TEXT    NOT NULL,
    path        TEXT    NOT NULL,
    body        TEXT,
    about       TEXT,
    outcome     TEXT,
    status      INTEGER,
    answered_at TEXT,
    ms          DOUBLE,
    UNIQUE (node, id)
);

-- How far each stream is in the database, committed together with the rows that it led to; src/db/positions.rs.
CREATE TABLE positions (
    node        TEXT   NOT NULL,
    stream      TEXT   NOT NULL,
    position    BIGINT NOT NULL,
    oldest_open BIGINT NOT NULL,
    event_seq   BIGINT NOT NULL DEFAULT 0,
    updated_at  TEXT   NOT NULL,
    PRIMARY KEY (node, stream)
) WITHOUT ROWID;
