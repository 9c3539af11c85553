-- vector_documents: texts, their metadata and embeddings, in named collections
--
-- Parameter: neonferry.vector_dimensions, the embedding's number of dimensions (default 1536).
--   psql:  PGOPTIONS='-c neonferry.vector_dimensions=100' psql -1 -f 001_create_vector_tables.sql
--   or     SET neonferry.vector_dimensions = 100;
-- Names are written with their schema, so that the file works with an empty search_path; the
-- extension is expected in schema public.

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

-- collection_name may be NULL: documents that nobody has sorted yet.
CREATE TABLE public.vector_documents (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	user_id text,
	collection_name text,
	content text NOT NULL,
	metadata jsonb NOT NULL DEFAULT '{}',
	embedding public.vector,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);

-- pgvector indexes up to 2000 dimensions of vector and 4000 of halfvec.
DO $$
DECLARE
	dimensions integer := coalesce(nullif(current_setting('neonferry.vector_dimensions', true), ''), '1536');
	indexed text := 'embedding public.vector_cosine_ops';
BEGIN
	EXECUTE format('ALTER TABLE public.vector_documents ALTER COLUMN embedding TYPE public.vector(%s)', dimensions);
	IF dimensions > 4000 THEN
		RAISE NOTICE 'vector(%) is too wide for an index', dimensions;
		RETURN;
	ELSIF dimensions > 2000 THEN
		indexed := format('(embedding::public.halfvec(%s)) public.halfvec_cosine_ops', dimensions);
	END IF;
	EXECUTE format('CREATE INDEX vector_documents_embedding_hnsw ON public.vector_documents '
		'USING hnsw (%s) WITH (m = 16, ef_construction = 64)', indexed);
END
$$;

CREATE INDEX vector_documents_collection_name ON public.vector_documents (collection_name);
CREATE INDEX vector_documents_user_id ON public.vector_documents (user_id);

COMMENT ON TABLE public.vector_documents IS 'Texts with metadata and embedding, in collections';
