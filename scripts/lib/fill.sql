-- Fills the shipped schema (migrations 001 to 005) with rows that are the same every time (but for times that the schema writes itself).
--
--   psql -v documents=12000 -f scripts/lib/fill.sql
--
-- vector_documents: six collections of very different size and a few rows in none, interleaved; some
-- without embedding; short, long and multilingual texts. The seven project tables: some thousand
-- rows that refer to each other. HNSW indexes are dropped for the time and built again at the end.

\set ON_ERROR_STOP on
\if :{?documents} \else
\set documents 12000
\endif
SET client_min_messages = warning;
SET search_path = public;
SET synchronous_commit = off;
SET maintenance_work_mem = '256MB';
SET min_parallel_table_scan_size = 0;
SELECT setseed(0.2026) \g /dev/null

CREATE TEMP TABLE hnsw_indexes AS
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
WHERE a.amname = 'hnsw';
SELECT format('DROP INDEX %s', name) FROM hnsw_indexes \gexec

-- A point near one of 40 centres, so that "similar" means something. n only keeps the planner from
-- computing it once for all rows.
CREATE FUNCTION pg_temp.point(n bigint, dimensions integer) RETURNS real[] LANGUAGE sql VOLATILE AS $$
	SELECT array_agg((sin(d * (1 + n % 40)) + random() * 0.8)::real) FROM generate_series(1, dimensions) d
$$;

CREATE TEMP TABLE phrases AS
SELECT * FROM (VALUES
	(0, 'Built the billing service and cut its latency by half.'),
	(1, 'Größere Änderungen an der Straßenkarte, übermäßig schön.'),
	(2, '履歴書と職務経歴書を更新しました。東京で勤務。'),
	(3, E'Tab\there, newline\nthere, backslash \\ and quote '' and "double".'),
	(4, 'مرحبا بالعالم، هذا نص من اليمين إلى اليسار'),
	(5, E'Emoji \U0001F468\u200D\U0001F469\u200D\U0001F467 \U0001F680 and a combining e\u0301.'),
	(6, 'Ελληνικά, Русский, हिन्दी, עברית, 한국어.'),
	(7, E'\\N \\. ,"",; {} NULL')
) AS p(slot, phrase);

INSERT INTO vector_documents
	(id, user_id, collection_name, content, metadata, embedding, created_at, updated_at)
SELECT md5('document ' || n)::uuid,
	CASE WHEN n % 17 <> 0 THEN 'user_' || n % 250 END,
	CASE
		WHEN draw < 0.580 THEN 'applications'
		WHEN draw < 0.830 THEN 'companies'
		WHEN draw < 0.945 THEN 'resumes'
		WHEN draw < 0.985 THEN 'interview_questions'
		WHEN draw < 0.995 THEN 'Lebensläufe "履歴書"'
		WHEN draw < 0.9965 THEN ''
	END,
	p.phrase || CASE
		WHEN n % 997 = 0 THEN (SELECT string_agg(md5(n || '/' || k), ' ') FROM generate_series(1, 3000) k)
		WHEN n % 50 = 0 THEN repeat(' ' || p.phrase, 100)
		WHEN n % 400 <> 1 THEN ' Document ' || n
		ELSE ''
	END,
	CASE WHEN n % 13 = 0 THEN '{}' ELSE jsonb_build_object(
		'record_type', (ARRAY['application', 'company', 'resume', 'question'])[1 + n % 4],
		'score', round((draw * 100)::numeric, 3), 'tags', jsonb_build_array('t' || n % 7, NULL, n % 2 = 0),
		'nested', jsonb_build_object('phrase', p.phrase, 'n', n)) END,
	CASE WHEN n % 29 <> 0 THEN pg_temp.point(n, dimensions)::vector END,
	timestamptz '2026-01-01 00:00:00+00' + n * interval '61.5 seconds',
	timestamptz '2026-01-01 00:00:00+00' + n * interval '67 seconds 123 microseconds'
FROM (SELECT k AS n, random() AS draw FROM generate_series(1, :documents) k) AS numbers
JOIN phrases p ON p.slot = numbers.n % 8
CROSS JOIN (SELECT atttypmod AS dimensions FROM pg_attribute
	WHERE attrelid = 'vector_documents'::regclass AND attname = 'embedding') AS width;

INSERT INTO users (id, github_id, username, email, display_name, bio, location, skills, profile,
	embedding, last_active_at, created_at, updated_at)
SELECT md5('user ' || n)::uuid, 100000 + n, 'user_' || n,
	CASE WHEN n % 11 <> 0 THEN format('User.%s@Example.org', n) END,
	initcap('name ' || n), CASE WHEN n % 5 <> 0 THEN (SELECT phrase FROM phrases p WHERE p.slot = k.n % 8) END,
	(ARRAY['Köln', '東京', 'São Paulo', NULL])[1 + n % 4],
	(ARRAY['c', 'sql', 'python', 'rust', 'go', 'docs'])[1 + n % 3 : 3 + n % 4],
	jsonb_build_object('followers', n * 7 % 1000, 'links', jsonb_build_array()),
	CASE WHEN n % 10 <> 0 THEN pg_temp.point(n, 1536)::halfvec END,
	CASE WHEN n % 3 = 0 THEN timestamptz '2026-06-01 12:00:00+00' - n * interval '1 hour' END,
	timestamptz '2025-01-01 00:00:00+00' + n * interval '1 day', timestamptz '2026-01-01 00:00:00+00'
FROM generate_series(1, 800) AS k(n);

INSERT INTO repositories (id, github_id, full_name, description, url, primary_language, languages,
	topics, stars, forks, health_score, is_archived, metadata, embedding, last_synced_at, created_at,
	updated_at)
SELECT md5('repository ' || n)::uuid, 500000 + n, format('owner%s/project-%s', n % 60, n),
	'A ' || (ARRAY['fast', 'small', 'friendly'])[1 + n % 3] || ' library number ' || n,
	'https://example.org/r/' || n, (ARRAY['C', 'Python', 'Rust', 'Go'])[1 + n % 4],
	jsonb_build_object('C', n * 31 % 10000), ARRAY['topic' || n % 20, 'vector'],
	n * 97 % 50000, n * 13 % 900, CASE WHEN n % 6 <> 0 THEN (n * 37 % 10000) / 100.0 END, n % 25 = 0,
	jsonb_build_object('license', (ARRAY['MIT', 'Apache-2.0', NULL])[1 + n % 3]),
	CASE WHEN n % 15 <> 0 THEN pg_temp.point(n, 1536)::halfvec END,
	timestamptz '2026-05-01 00:00:00+00' + n * interval '1 minute',
	timestamptz '2024-01-01 00:00:00+00', timestamptz '2026-01-01 00:00:00+00'
FROM generate_series(1, 300) AS k(n);

INSERT INTO opportunities (id, repository_id, created_by, title, description, url, kind, difficulty,
	status, required_skills, estimated_hours, metadata, embedding, expires_at, created_at, updated_at)
SELECT md5('opportunity ' || n)::uuid, md5('repository ' || 1 + n % 300)::uuid,
	CASE WHEN n % 4 <> 0 THEN md5('user ' || 1 + n % 800)::uuid END,
	(ARRAY['Fix', 'Document', 'Test', 'Rewrite'])[1 + n % 4] || ' the ' ||
		(ARRAY['parser', 'cache', 'index', 'planner', 'writer'])[1 + n % 5] || ' #' || n,
	CASE WHEN n % 9 <> 0 THEN (SELECT string_agg(phrase, E'\n') FROM phrases p WHERE p.slot <= k.n % 8) END,
	CASE WHEN n % 7 <> 0 THEN 'https://example.org/o/' || n END,
	(enum_range(NULL::contribution_kind))[1 + n % 8], (enum_range(NULL::difficulty_level))[1 + n % 4],
	(enum_range(NULL::opportunity_status))[1 + greatest(0, n % 9 - 4)],
	ARRAY['c', 'sql'], CASE WHEN n % 3 <> 0 THEN n % 80 / 2.0 END,
	jsonb_build_object('labels', jsonb_build_array('good first issue', n % 10)),
	CASE WHEN n % 12 <> 0 THEN pg_temp.point(n, 1536)::halfvec END,
	CASE WHEN n % 2 = 0 THEN date '2027-01-01' + n % 365 END,
	timestamptz '2026-02-01 00:00:00+00' + n * interval '13 minutes', timestamptz '2026-03-01 00:00:00+00'
FROM generate_series(1, 1500) AS k(n);

INSERT INTO user_preferences (user_id, languages, difficulties, kinds, weekly_hours,
	email_notifications, quiet_from, quiet_until, settings, interest_embedding, created_at, updated_at)
SELECT md5('user ' || n)::uuid, CASE WHEN n % 3 = 0 THEN ARRAY['C', 'Rust'] ELSE '{}' END,
	CASE WHEN n % 2 = 0 THEN ARRAY['beginner', 'intermediate']::difficulty_level[] ELSE '{}' END,
	CASE WHEN n % 5 = 0 THEN ARRAY['bug_fix']::contribution_kind[] ELSE '{}' END,
	CASE WHEN n % 4 <> 0 THEN int4range(n % 5, 5 + n % 20) END, n % 2 = 0,
	CASE WHEN n % 3 = 0 THEN time '22:30' END, CASE WHEN n % 3 = 0 THEN time '07:00:00.5' END,
	'{"theme": "dark"}', CASE WHEN n % 6 <> 0 THEN pg_temp.point(n + 3, 1536)::halfvec END,
	timestamptz '2026-01-01 00:00:00+00', timestamptz '2026-01-01 00:00:00+00'
FROM generate_series(1, 700) AS k(n);

INSERT INTO notifications (user_id, opportunity_id, kind, title, body, payload, read_at, created_at)
SELECT md5('user ' || 1 + n % 800)::uuid,
	CASE WHEN n % 3 <> 0 THEN md5('opportunity ' || 1 + n % 1500)::uuid END,
	(enum_range(NULL::notification_kind))[1 + n % 5], 'Notice ' || n,
	CASE WHEN n % 4 <> 0 THEN (SELECT phrase FROM phrases p WHERE p.slot = k.n % 8) END,
	CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN 'null' ELSE jsonb_build_object('n', n) END,
	CASE WHEN n % 2 = 0 THEN timestamptz '2026-04-01 00:00:00+00' + n * interval '1 minute' END,
	timestamptz '2026-03-31 00:00:00+00' + n * interval '1 minute'
FROM generate_series(1, 2500) AS k(n);

INSERT INTO contribution_outcomes (id, user_id, opportunity_id, repository_id, status,
	pull_request_url, lines_added, lines_removed, time_spent, rating, feedback, merged_at, created_at,
	updated_at)
SELECT md5('outcome ' || n)::uuid, md5('user ' || 1 + n % 800)::uuid, o.id, o.repository_id,
	(enum_range(NULL::outcome_status))[1 + n % 6], 'https://example.org/p/' || n,
	n * 7 % 900, n * 3 % 400, n % 50 * interval '1 hour 20 minutes', 1 + n % 5,
	CASE WHEN n % 4 = 0 THEN 'Merci, très bien !' END,
	CASE WHEN n % 6 = 3 THEN timestamptz '2026-05-01 00:00:00+00' END,
	timestamptz '2026-04-01 00:00:00+00', timestamptz '2026-04-02 00:00:00+00'
FROM generate_series(1, 600) AS k(n) JOIN opportunities o ON o.id = md5('opportunity ' || n)::uuid;

INSERT INTO user_repository_interactions (user_id, repository_id, kind, weight, metadata, occurred_at)
SELECT md5('user ' || 1 + n % 800)::uuid, md5('repository ' || 1 + n % 300)::uuid,
	(enum_range(NULL::interaction_kind))[1 + n % 6], (n % 10 / 3.0)::real,
	CASE WHEN n % 2 = 0 THEN jsonb_build_object('from', 'search') END,
	timestamptz '2026-05-01 00:00:00+00' + n * interval '37 seconds'
FROM generate_series(1, 3000) AS k(n);

INSERT INTO embeddings (id, source_type, source_id, model, content, embedding, created_at, updated_at)
SELECT md5('embedding ' || n)::uuid, (ARRAY['message', 'file'])[1 + n % 2], n::text, 'all-MiniLM-L6-v2',
	(SELECT phrase FROM phrases p WHERE p.slot = k.n % 8) || ' ' || n, pg_temp.point(n, 384)::vector,
	timestamptz '2026-05-01 00:00:00+00', timestamptz '2026-05-01 00:00:00+00'
FROM generate_series(1, 300) AS k(n);

SELECT definition FROM hnsw_indexes \gexec
ANALYZE;
