//! Tables, and the steps between their versions.
//!
//! All is in the schema `gob`. A step is made by the first supervisor whose role may; the others wait for it.

/// One step per version; the position in the list is the version that it starts from. Steps are never changed.
pub(super) const STEPS: &[&str] = &[VERSION_1, VERSION_2];

/// As in the store's own file, with a lane's counts in rows that sessions share seldom, so that claims in one lane do not wait for each
/// other. `lane.pending` and its like are functions. A life is a supervisor's, as long as the database has heard of it.
const VERSION_1: &str = r#"
CREATE SEQUENCE job_number START 1000000001;
CREATE SEQUENCE lock_token;
CREATE TABLE life (
    instance TEXT COLLATE "C" PRIMARY KEY,
    machine TEXT COLLATE "C" NOT NULL,
    host TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    lease_ms BIGINT NOT NULL,
    dead BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX life_machine ON life(machine);
CREATE TABLE lane (
    name TEXT COLLATE "C" PRIMARY KEY,
    width BIGINT NOT NULL DEFAULT 1,
    paused BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE lane_count (
    lane TEXT COLLATE "C" NOT NULL,
    slot BIGINT NOT NULL,
    pending BIGINT NOT NULL DEFAULT 0,
    running BIGINT NOT NULL DEFAULT 0,
    completed BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    cancelled BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (lane, slot)
) WITH (fillfactor = 50);
CREATE TABLE job (
    number BIGINT PRIMARY KEY,
    lane TEXT COLLATE "C" NOT NULL,
    status BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    blocked BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    command TEXT NOT NULL,
    cwd TEXT NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    needs TEXT NOT NULL,
    instance TEXT COLLATE "C",
    outside BIGINT NOT NULL,
    locked_by TEXT COLLATE "C",
    locked_at BIGINT,
    heartbeat_at BIGINT,
    worker BIGINT NOT NULL,
    error TEXT,
    exit TEXT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    dedupe TEXT COLLATE "C",
    schedule TEXT COLLATE "C",
    description TEXT
) WITH (fillfactor = 70);
CREATE INDEX job_next ON job(lane, priority DESC, run_at, number) WHERE status = 0 AND blocked = 0;
CREATE INDEX job_due ON job(lane, run_at) WHERE status = 0 AND blocked = 0;
CREATE INDEX job_pending ON job(lane, priority DESC, run_at, number) WHERE status = 0;
CREATE INDEX job_running ON job(number) WHERE status = 1;
CREATE INDEX job_held ON job(instance) WHERE instance IS NOT NULL;
CREATE INDEX job_ended ON job(status, finished_at DESC, number DESC) WHERE status >= 2;
CREATE INDEX job_lane_ended ON job(lane, status, finished_at DESC, number DESC) WHERE status >= 2;
CREATE UNIQUE INDEX job_dedupe ON job(dedupe) WHERE dedupe IS NOT NULL AND status < 2;
CREATE TABLE job_env (
    number BIGINT PRIMARY KEY,
    env TEXT,
    umask BIGINT
);
CREATE TABLE job_after (
    number BIGINT NOT NULL,
    before BIGINT NOT NULL,
    done BIGINT NOT NULL,
    PRIMARY KEY (number, before)
);
CREATE INDEX job_before ON job_after(before, number);
CREATE TABLE schedule (
    name TEXT COLLATE "C" PRIMARY KEY,
    lane TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    command TEXT NOT NULL,
    cwd TEXT NOT NULL,
    cron TEXT,
    interval_ms BIGINT,
    timezone TEXT,
    max_attempts BIGINT NOT NULL,
    next_at BIGINT,
    last_at BIGINT,
    last_job BIGINT
);
CREATE INDEX schedule_next ON schedule(next_at) WHERE next_at IS NOT NULL;
CREATE TABLE schedule_env (
    name TEXT COLLATE "C" PRIMARY KEY,
    env TEXT,
    umask BIGINT
);
CREATE FUNCTION pending(it lane) RETURNS BIGINT LANGUAGE sql STABLE
    AS 'SELECT coalesce(sum(pending), 0)::BIGINT FROM gob.lane_count WHERE lane = it.name';
CREATE FUNCTION running(it lane) RETURNS BIGINT LANGUAGE sql STABLE
    AS 'SELECT coalesce(sum(running), 0)::BIGINT FROM gob.lane_count WHERE lane = it.name';
CREATE FUNCTION completed(it lane) RETURNS BIGINT LANGUAGE sql STABLE
    AS 'SELECT coalesce(sum(completed), 0)::BIGINT FROM gob.lane_count WHERE lane = it.name';
CREATE FUNCTION failed(it lane) RETURNS BIGINT LANGUAGE sql STABLE
    AS 'SELECT coalesce(sum(failed), 0)::BIGINT FROM gob.lane_count WHERE lane = it.name';
CREATE FUNCTION cancelled(it lane) RETURNS BIGINT LANGUAGE sql STABLE
    AS 'SELECT coalesce(sum(cancelled), 0)::BIGINT FROM gob.lane_count WHERE lane = it.name';
CREATE FUNCTION count_job(it TEXT, before BIGINT, after BIGINT) RETURNS VOID LANGUAGE sql AS $$
    INSERT INTO gob.lane_count AS c VALUES (it, pg_backend_pid() % 64,
        (after IS NOT DISTINCT FROM 0)::INT - (before IS NOT DISTINCT FROM 0)::INT,
        (after IS NOT DISTINCT FROM 1)::INT - (before IS NOT DISTINCT FROM 1)::INT,
        (after IS NOT DISTINCT FROM 2)::INT - (before IS NOT DISTINCT FROM 2)::INT,
        (after IS NOT DISTINCT FROM 3)::INT - (before IS NOT DISTINCT FROM 3)::INT,
        (after IS NOT DISTINCT FROM 4)::INT - (before IS NOT DISTINCT FROM 4)::INT)
    ON CONFLICT (lane, slot) DO UPDATE SET pending = c.pending + excluded.pending,
        running = c.running + excluded.running, completed = c.completed + excluded.completed,
        failed = c.failed + excluded.failed, cancelled = c.cancelled + excluded.cancelled
$$;
CREATE FUNCTION job_was_added() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO gob.lane(name) VALUES (new.lane) ON CONFLICT (name) DO NOTHING;
    PERFORM gob.count_job(new.lane, NULL, new.status);
    RETURN NULL;
END $$;
CREATE FUNCTION job_was_changed() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    PERFORM gob.count_job(new.lane, old.status, new.status);
    IF new.status >= 2 THEN
        DELETE FROM gob.job_env WHERE number = new.number;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION job_is_gone() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    PERFORM gob.count_job(old.lane, old.status, NULL);
    DELETE FROM gob.job_env WHERE number = old.number;
    DELETE FROM gob.job_after WHERE number = old.number;
    RETURN NULL;
END $$;
CREATE FUNCTION lane_is_gone() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM gob.lane_count WHERE lane = old.name;
    RETURN NULL;
END $$;
CREATE FUNCTION schedule_is_gone() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM gob.schedule_env WHERE name = old.name;
    RETURN NULL;
END $$;
CREATE TRIGGER job_added AFTER INSERT ON job FOR EACH ROW EXECUTE FUNCTION job_was_added();
CREATE TRIGGER job_changed AFTER UPDATE OF status ON job FOR EACH ROW
    WHEN (new.status <> old.status) EXECUTE FUNCTION job_was_changed();
CREATE TRIGGER job_gone AFTER DELETE ON job FOR EACH ROW EXECUTE FUNCTION job_is_gone();
CREATE TRIGGER lane_gone AFTER DELETE ON lane FOR EACH ROW EXECUTE FUNCTION lane_is_gone();
CREATE TRIGGER schedule_gone AFTER DELETE ON schedule FOR EACH ROW EXECUTE FUNCTION schedule_is_gone();
"#;

/// Holders of named locks, and the lines of waiters; `pos` is the place in the line. Tokens are above all that a machine gives to its own locks.
const VERSION_2: &str = r#"
ALTER SEQUENCE gob.lock_token RESTART WITH 1000000000001;
CREATE TABLE gob.lock_party (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lock TEXT COLLATE "C" NOT NULL,
    instance TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    token BIGINT UNIQUE,
    pos BIGINT NOT NULL,
    passed BIGINT NOT NULL DEFAULT 0,
    exclusive BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    process TEXT,
    pid BIGINT,
    host TEXT NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL
);
CREATE INDEX lock_party_line ON gob.lock_party(lock, pos);
CREATE INDEX lock_party_life ON gob.lock_party(instance);
"#;
