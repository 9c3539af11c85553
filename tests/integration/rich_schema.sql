-- One of everything that pg_dump knows and a role without superuser may make; names that need quotes.
CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION hstore;
CREATE EXTENSION pg_trgm;
CREATE SCHEMA app;
COMMENT ON SCHEMA app IS 'the application';
CREATE SCHEMA "odd schema";
CREATE TYPE app.mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN app.posint AS int CHECK (VALUE > 0);
CREATE TYPE app.pair AS (a int, b text);
CREATE TYPE app.span AS RANGE (subtype = float8);
SET check_function_bodies = off;
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
--
-- TOC entry 9999 (class 1259 OID 1)
-- Name: x; Type: TABLE; Schema: public; Owner: -
--
/*
\restrict nothing
*/
  NEW.touched := now(); RETURN NEW;
END $$;
COMMENT ON FUNCTION app.touch() IS 'touches; Type: "x"; Schema: y';
CREATE FUNCTION app.later(int) RETURNS bigint LANGUAGE sql
	AS 'SELECT count(*) FROM app.users WHERE id > $1';
CREATE FUNCTION app.atomic(a int, b int DEFAULT 3) RETURNS int LANGUAGE sql
	BEGIN ATOMIC SELECT a + b; SELECT a; END;
CREATE PROCEDURE app.proc() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE app.total(int) (SFUNC = int4pl, STYPE = int);
CREATE AGGREGATE app.ones(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');
CREATE OPERATOR app.<+> (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR app.<+> (FUNCTION = int8pl, LEFTARG = bigint, RIGHTARG = bigint);
CREATE COLLATION app.german (provider = icu, locale = 'de');
CREATE CAST (app.mood AS int) WITH INOUT;
CREATE TEXT SEARCH CONFIGURATION app.ts (COPY = simple);

CREATE TABLE app.users (
	id serial PRIMARY KEY,
	name text NOT NULL UNIQUE,
	mood app.mood DEFAULT 'ok',
	touched timestamptz,
	note text,
	boss int REFERENCES app.users (id),
	CHECK (id > 0)
);
COMMENT ON TABLE app.users IS 'people; with "quotes" and ''those''';
COMMENT ON COLUMN app.users.name IS 'the name';
ALTER TABLE app.users ALTER COLUMN note SET (n_distinct = -0.5);
CREATE INDEX users_lower ON app.users (lower(name));
ALTER INDEX app.users_lower ALTER COLUMN 1 SET STATISTICS 500;
COMMENT ON INDEX app.users_lower IS 'lower; with "quotes"';
ALTER TABLE app.users CLUSTER ON users_lower;
CREATE TRIGGER touch BEFORE UPDATE OF name ON app.users FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE TRIGGER touch2 BEFORE INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE app.users ENABLE ALWAYS TRIGGER touch2;
CREATE TRIGGER off BEFORE INSERT ON app.users FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE app.users DISABLE TRIGGER off;

CREATE TABLE app.posts (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id int NOT NULL,
	body text,
	embedding vector(16),
	tags hstore,
	pair app.pair,
	len int GENERATED ALWAYS AS (length(body)) STORED,
	CONSTRAINT posts_user FOREIGN KEY (user_id) REFERENCES app.users (id) ON DELETE CASCADE
		DEFERRABLE INITIALLY DEFERRED
);
COMMENT ON CONSTRAINT posts_user ON app.posts IS 'who wrote it';
CREATE INDEX posts_hnsw ON app.posts USING hnsw (embedding vector_cosine_ops)
	WITH (m = 16, ef_construction = 64);
CREATE INDEX posts_ivf ON app.posts USING ivfflat (embedding vector_l2_ops) WITH (lists = 4);
CREATE INDEX posts_half ON app.posts USING hnsw (((embedding)::halfvec(16)) halfvec_l2_ops);
CREATE INDEX posts_trgm ON app.posts USING gin (body gin_trgm_ops);
CREATE INDEX posts_user ON app.posts (user_id) INCLUDE (id) WHERE body IS NOT NULL;
ALTER TABLE app.posts ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON app.posts FOR SELECT USING (user_id > 0);
CREATE RULE nodel AS ON DELETE TO app.posts WHERE old.id < 0 DO INSTEAD NOTHING;
CREATE STATISTICS app.posts_st (dependencies) ON user_id, id FROM app.posts;
CREATE VIEW app.v AS SELECT u.name, count(*) AS n FROM app.users u
	JOIN app.posts p ON p.user_id = u.id GROUP BY u.name;
CREATE MATERIALIZED VIEW app.mv2 AS SELECT * FROM app.v;
CREATE MATERIALIZED VIEW app.mv1 AS SELECT sum(n) AS s FROM app.mv2;
CREATE UNIQUE INDEX mv_name ON app.mv2 (name);

CREATE UNLOGGED TABLE "odd schema"."Odd ""table"" x" ("Weird col" int PRIMARY KEY, b text, "on" int);
CREATE INDEX "odd idx" ON "odd schema"."Odd ""table"" x" ("on");
CREATE TABLE "odd schema"."naïve Ω" ("Ω" int PRIMARY KEY);

CREATE TABLE app.part (id int, k text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE app.part1 PARTITION OF app.part FOR VALUES FROM (0) TO (100);
CREATE TABLE app.part2 PARTITION OF app.part FOR VALUES FROM (100) TO (200);
CREATE INDEX part_k ON app.part (k);
CREATE TABLE app.child_of_part (id int REFERENCES app.part (id), u int);
ALTER TABLE app.part ADD COLUMN u int REFERENCES app.users (id);
CREATE TRIGGER part_touch BEFORE UPDATE ON app.part FOR EACH ROW EXECUTE FUNCTION app.touch();

CREATE TABLE app.base (a int CONSTRAINT pos CHECK (a > 0), b app.posint);
CREATE TABLE app.inh (c int) INHERITS (app.base);
ALTER TABLE app.base ADD CONSTRAINT nv CHECK (a < 1000) NOT VALID;
CREATE TABLE app.nvfk (id int);
ALTER TABLE app.nvfk ADD CONSTRAINT nvfk_id FOREIGN KEY (id) REFERENCES app.users (id) NOT VALID;
CREATE TABLE app.excl (r int4range, EXCLUDE USING gist (r WITH &&));
CREATE TABLE app.nokey (a int);
ALTER TABLE app.nokey REPLICA IDENTITY FULL;
CREATE TABLE app.ident (a int NOT NULL, b int);
CREATE UNIQUE INDEX ident_a ON app.ident (a);
ALTER TABLE app.ident REPLICA IDENTITY USING INDEX ident_a;
CREATE TABLE app.nothing ();
CREATE SEQUENCE app.down START 100 INCREMENT -5 MINVALUE -1000 MAXVALUE 200;
CREATE SEQUENCE app.never START 7;

-- What is left out.
CREATE FUNCTION app.evt() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER evt ON ddl_command_end EXECUTE FUNCTION app.evt();
COMMENT ON EVENT TRIGGER evt IS 'event';
GRANT SELECT ON app.users TO PUBLIC;

INSERT INTO app.users (name) SELECT 'user ' || g FROM generate_series(1, 200) g;
INSERT INTO app.posts (user_id, body, embedding)
	SELECT 1 + g % 200, 'body ' || g,
		(SELECT array_agg(random()) FROM generate_series(1, 16) WHERE g = g)::vector
	FROM generate_series(1, 2000) g;
INSERT INTO app.part SELECT g, 'k' || g FROM generate_series(0, 199) g;
INSERT INTO app.child_of_part SELECT g FROM generate_series(0, 199, 3) g;
SELECT nextval('app.down'), nextval('app.down');
REFRESH MATERIALIZED VIEW app.mv2;
REFRESH MATERIALIZED VIEW app.mv1;
