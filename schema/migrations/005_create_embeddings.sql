-- embeddings: one table for every source and model, changes found by SHA-256, hybrid search
--
-- Models have different dimensions, so the column is vector without a number; a model's index is a
-- partial one over embedding::vector(N), made by rebuild_vector_indexes(), and the searches name
-- the model and the cast literally so that it is used.

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public;

CREATE TABLE public.embedding_models (
	name text PRIMARY KEY,
	dimensions integer NOT NULL CHECK (dimensions BETWEEN 1 AND 2000),
	is_default boolean NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT now(),
	UNIQUE (name, dimensions)
);
CREATE UNIQUE INDEX embedding_models_default ON public.embedding_models (is_default) WHERE is_default;

INSERT INTO public.embedding_models (name, dimensions, is_default) VALUES
	('text-embedding-3-small', 1536, true),
	('text-embedding-ada-002', 1536, false),
	('all-MiniLM-L6-v2', 384, false);

-- dimensions is part of the foreign key: an embedding of another model's size is refused.
CREATE TABLE public.embeddings (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	source_type text NOT NULL,
	source_id text NOT NULL,
	chunk_index integer NOT NULL DEFAULT 0,
	model text NOT NULL,
	content text NOT NULL,
	content_sha256 bytea NOT NULL GENERATED ALWAYS AS (public.digest(content, 'sha256')) STORED,
	content_words tsvector GENERATED ALWAYS AS (to_tsvector('pg_catalog.english', content)) STORED,
	embedding public.vector NOT NULL,
	dimensions integer NOT NULL GENERATED ALWAYS AS (public.vector_dims(embedding)) STORED,
	metadata jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	UNIQUE (source_type, source_id, chunk_index, model),
	FOREIGN KEY (model, dimensions) REFERENCES public.embedding_models (name, dimensions)
);
CREATE INDEX embeddings_model ON public.embeddings (model, source_type);
CREATE INDEX embeddings_content_words ON public.embeddings USING gin (content_words);
CREATE INDEX embeddings_metadata ON public.embeddings USING gin (metadata jsonb_path_ops);

-- A NULL means: the default of the searches.
CREATE TABLE public.user_search_settings (
	user_id text PRIMARY KEY,
	vector_weight double precision CHECK (vector_weight >= 0),
	text_weight double precision CHECK (text_weight >= 0),
	rrf_k integer CHECK (rrf_k > 0),
	ef_search integer CHECK (ef_search BETWEEN 1 AND 1000),
	result_limit integer CHECK (result_limit > 0),
	updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.search_performance_metrics (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	search text NOT NULL,
	model text NOT NULL,
	user_id text,
	result_count integer NOT NULL,
	duration_ms double precision NOT NULL,
	recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX search_performance_metrics_recorded_at ON public.search_performance_metrics (recorded_at);

CREATE TABLE public.cache_invalidation_log (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	source_type text NOT NULL,
	source_id text NOT NULL,
	model text NOT NULL,
	reason text NOT NULL,
	invalidated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX cache_invalidation_log_invalidated_at ON public.cache_invalidation_log (invalidated_at);

CREATE FUNCTION public.log_cache_invalidation() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp
AS $$
DECLARE
	changed embeddings := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
	INSERT INTO cache_invalidation_log (source_type, source_id, model, reason)
	VALUES (changed.source_type, changed.source_id, changed.model, lower(TG_OP));
	RETURN NULL;
END
$$;

CREATE TRIGGER log_cache_invalidation AFTER INSERT OR UPDATE OR DELETE ON public.embeddings
	FOR EACH ROW EXECUTE FUNCTION public.log_cache_invalidation();

CREATE FUNCTION public.default_embedding_model() RETURNS text
LANGUAGE sql STABLE SET search_path = public, pg_temp
AS $$ SELECT name FROM embedding_models WHERE is_default $$;

-- Stores a text's embedding. Nothing is written when the text is the one stored already (by its
-- SHA-256), unless force. action: inserted, updated or unchanged.
CREATE FUNCTION public.upsert_embedding(
	source_type text,
	source_id text,
	content text,
	embedding public.vector,
	model text DEFAULT NULL,
	chunk_index integer DEFAULT 0,
	metadata jsonb DEFAULT '{}',
	force boolean DEFAULT false)
RETURNS TABLE (embedding_id uuid, action text)
LANGUAGE plpgsql SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	chosen text := coalesce(model, default_embedding_model());
BEGIN
	RETURN QUERY
	INSERT INTO embeddings AS e (source_type, source_id, chunk_index, model, content, embedding, metadata)
	VALUES ($1, $2, $6, chosen, $3, $4, $7)
	ON CONFLICT (source_type, source_id, chunk_index, model) DO UPDATE
		SET content = excluded.content, embedding = excluded.embedding,
			metadata = excluded.metadata, updated_at = now()
		WHERE $8 OR e.content_sha256 <> digest(excluded.content, 'sha256')
	RETURNING e.id, CASE WHEN e.xmax = 0 THEN 'inserted' ELSE 'updated' END;
	IF NOT FOUND THEN
		RETURN QUERY SELECT e.id, 'unchanged' FROM embeddings e
		WHERE e.source_type = $1 AND e.source_id = $2 AND e.chunk_index = $6 AND e.model = chosen;
	END IF;
END
$$;

CREATE FUNCTION public.record_search(search text, model text, user_id text, result_count integer,
	started timestamptz)
RETURNS void LANGUAGE sql SET search_path = public, pg_temp
AS $$
	INSERT INTO search_performance_metrics (search, model, user_id, result_count, duration_ms)
	VALUES ($1, $2, $3, $4, extract(epoch FROM clock_timestamp() - $5) * 1000)
$$;

-- The nearest embeddings of one model. record_metrics writes a row of search_performance_metrics,
-- so it needs a transaction that may write.
CREATE FUNCTION public.similarity_search(
	query_embedding public.vector,
	model text DEFAULT NULL,
	result_limit integer DEFAULT 10,
	min_similarity double precision DEFAULT 0,
	source_type text DEFAULT NULL,
	ef_search integer DEFAULT 200,
	record_metrics boolean DEFAULT false)
RETURNS TABLE (embedding_id uuid, source_id text, content text, similarity double precision)
LANGUAGE plpgsql SET search_path = public, pg_temp
AS $$
DECLARE
	chosen text := coalesce(model, default_embedding_model());
	started timestamptz := clock_timestamp();
	before text[] := set_hnsw_search(ARRAY[ef_search::text, 'strict_order']);
	found_rows integer;
BEGIN
	RETURN QUERY EXECUTE format(
		'SELECT n.id, n.source_id, n.content, 1 - n.distance FROM ('
		'  SELECT e.id, e.source_id, e.content, e.embedding::vector(%1$s) <=> $1 AS distance'
		'  FROM embeddings e WHERE e.model = %2$L AND ($2 IS NULL OR e.source_type = $2)'
		'  ORDER BY e.embedding::vector(%1$s) <=> $1 LIMIT $3) n '
		'WHERE 1 - n.distance >= $4 ORDER BY n.distance, n.id', vector_dims(query_embedding), chosen)
	USING query_embedding, source_type, result_limit, min_similarity;
	GET DIAGNOSTICS found_rows = ROW_COUNT;
	PERFORM set_hnsw_search(before);
	IF record_metrics THEN
		PERFORM record_search('similarity_search', chosen, NULL, found_rows, started);
	END IF;
END
$$;

-- Vector (70 %) and words (30 %) joined by reciprocal rank fusion, as rrf_score says. A weight, k,
-- ef_search or limit is the argument, else the user's setting, else the default.
CREATE FUNCTION public.hybrid_search(
	query_text text,
	query_embedding public.vector,
	model text DEFAULT NULL,
	for_user text DEFAULT NULL,
	result_limit integer DEFAULT NULL,
	vector_weight double precision DEFAULT NULL,
	text_weight double precision DEFAULT NULL,
	rrf_k integer DEFAULT NULL,
	ef_search integer DEFAULT NULL,
	record_metrics boolean DEFAULT false)
RETURNS TABLE (embedding_id uuid, source_type text, source_id text, content text,
	score double precision, vector_rank bigint, text_rank bigint)
LANGUAGE plpgsql SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	chosen text := coalesce(model, default_embedding_model());
	started timestamptz := clock_timestamp();
	settings user_search_settings;
	before text[];
	found_rows integer;
	wanted integer;
BEGIN
	SELECT * INTO settings FROM user_search_settings s WHERE s.user_id = for_user;
	wanted := coalesce($5, settings.result_limit, 10);
	before := set_hnsw_search(ARRAY[coalesce($9, settings.ef_search, 200)::text, 'strict_order']);
	RETURN QUERY EXECUTE format(
		'WITH by_vector AS ('
		'  SELECT n.id, row_number() OVER (ORDER BY n.distance, n.id) AS place FROM ('
		'    SELECT e.id, e.embedding::vector(%1$s) <=> $1 AS distance FROM embeddings e'
		'    WHERE e.model = %2$L AND $1 IS NOT NULL'
		'    ORDER BY e.embedding::vector(%1$s) <=> $1 LIMIT $3) n'
		'), by_text AS ('
		'  SELECT f.id, row_number() OVER (ORDER BY f.relevance DESC, f.id) AS place FROM ('
		'    SELECT e.id, ts_rank_cd(e.content_words, q) AS relevance'
		'    FROM embeddings e, websearch_to_tsquery(''pg_catalog.english'', $2) q'
		'    WHERE e.model = %2$L AND e.content_words @@ q ORDER BY 2 DESC, 1 LIMIT $3) f'
		') '
		'SELECT e.id, e.source_type, e.source_id, e.content,'
		'  rrf_score($4, v.place, $6) + rrf_score($5, t.place, $6), v.place, t.place '
		'FROM by_vector v FULL JOIN by_text t USING (id) JOIN embeddings e USING (id) '
		'ORDER BY 5 DESC, 1 LIMIT $7',
		(SELECT m.dimensions FROM embedding_models m WHERE m.name = chosen), chosen)
	USING query_embedding, query_text, greatest(wanted * 4, 100),
		coalesce($6, settings.vector_weight, 0.7), coalesce($7, settings.text_weight, 0.3),
		coalesce($8, settings.rrf_k, 60), wanted;
	GET DIAGNOSTICS found_rows = ROW_COUNT;
	PERFORM set_hnsw_search(before);
	IF record_metrics THEN
		PERFORM record_search('hybrid_search', chosen, for_user, found_rows, started);
	END IF;
END
$$;

-- Makes every model's vector index anew, of the method that fits its size: HNSW above hnsw_above
-- rows; below that IVFFlat with one list, which is exact and built in no time. A model without rows
-- gets none. Writers wait meanwhile.
CREATE FUNCTION public.rebuild_vector_indexes(hnsw_above bigint DEFAULT 1000)
RETURNS TABLE (model text, row_count bigint, method text, index_name text)
LANGUAGE plpgsql SET search_path = public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	m embedding_models;
BEGIN
	FOR m IN SELECT * FROM embedding_models k ORDER BY k.name COLLATE "C" LOOP
		model := m.name;
		row_count := (SELECT count(*) FROM embeddings e WHERE e.model = m.name);
		method := CASE WHEN row_count > hnsw_above THEN 'hnsw' ELSE 'ivfflat' END;
		index_name := 'embeddings_vector_' || left(encode(digest(m.name, 'sha256'), 'hex'), 8);
		IF to_regclass(index_name) IS NOT NULL THEN
			EXECUTE format('DROP INDEX public.%I', index_name);
		END IF;
		CONTINUE WHEN row_count = 0;
		EXECUTE format(
			'CREATE INDEX %I ON public.embeddings USING %s '
			'((embedding::vector(%s)) vector_cosine_ops) WITH (%s) WHERE model = %L',
			index_name, method, m.dimensions,
			CASE method WHEN 'hnsw' THEN 'm = 16, ef_construction = 64' ELSE 'lists = 1' END, m.name);
		RETURN NEXT;
	END LOOP;
END
$$;

CREATE VIEW public.vector_search_stats AS
SELECT e.source_type, e.model, e.dimensions,
	count(*) AS embedding_count,
	count(DISTINCT e.source_id) AS source_count,
	avg(length(e.content))::numeric(12, 1) AS average_content_length,
	sum(pg_column_size(e.embedding)) AS embedding_bytes,
	min(e.created_at) AS first_created_at,
	max(e.updated_at) AS last_updated_at
FROM public.embeddings e
GROUP BY e.source_type, e.model, e.dimensions;
