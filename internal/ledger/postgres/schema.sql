CREATE TABLE ledger_schema (version integer NOT NULL);
CREATE TABLE ledger_records (
	day bigint NOT NULL, -- of the admission, since 1970
	at bigint NOT NULL, -- Unix milliseconds
	organization text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, sequence integer NOT NULL,
	team text COLLATE "C" NOT NULL, project text COLLATE "C" NOT NULL, key_name text COLLATE "C" NOT NULL, end_user text COLLATE "C" NOT NULL, route text COLLATE "C" NOT NULL,
	provider text COLLATE "C" NOT NULL, model text COLLATE "C" NOT NULL, region text COLLATE "C" NOT NULL, status text COLLATE "C" NOT NULL, tags jsonb NOT NULL,
	cost bigint NOT NULL, -- nano-USD
	data text NOT NULL,
	PRIMARY KEY (organization, id, sequence, day)
) PARTITION BY RANGE (day);
CREATE INDEX ledger_records_at ON ledger_records (at);
CREATE TABLE ledger_series (
	id bigint PRIMARY KEY,
	organization text COLLATE "C" NOT NULL, team text COLLATE "C" NOT NULL, project text COLLATE "C" NOT NULL, key_name text COLLATE "C" NOT NULL, end_user text COLLATE "C" NOT NULL,
	route text COLLATE "C" NOT NULL, provider text COLLATE "C" NOT NULL, model text COLLATE "C" NOT NULL, region text COLLATE "C" NOT NULL, tags jsonb NOT NULL
);
CREATE TABLE ledger_rollups (
	period text NOT NULL, -- m, h or d
	start bigint NOT NULL, -- Unix seconds
	series bigint NOT NULL,
	exchanges bigint NOT NULL, failed bigint NOT NULL, attempts bigint NOT NULL,
	input bigint NOT NULL, cached bigint NOT NULL, written bigint NOT NULL, output bigint NOT NULL, reasoning bigint NOT NULL, searches bigint NOT NULL,
	cost bigint NOT NULL, list bigint NOT NULL, saved bigint NOT NULL, unpriced bigint NOT NULL, estimated bigint NOT NULL, took_ms bigint NOT NULL,
	PRIMARY KEY (period, start, series)
) WITH (fillfactor = 70);
CREATE TABLE ledger_budgets (
	organization text COLLATE "C" NOT NULL, budget text COLLATE "C" NOT NULL,
	start bigint NOT NULL, -- of the window, Unix seconds; 0: it has none
	amount bigint NOT NULL,
	PRIMARY KEY (organization, budget, start)
) WITH (fillfactor = 70);
INSERT INTO ledger_schema VALUES (1);
