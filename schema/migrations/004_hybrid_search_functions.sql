-- search over the project tables: text (30 %) and vector (70 %), joined by reciprocal rank fusion
--
-- Each search makes two ranked lists, by trigrams and by cosine distance, and adds
--   text_weight / (rrf_k + rank in the text list) + vector_weight / (rrf_k + rank in the vector list)
-- where a list that does not hold the row adds nothing. A NULL query text or embedding leaves its
-- list out. Ties are broken by id, so that equal data gives equal answers.
--
-- hnsw.ef_search is set for the search and put back after it. It is not a SET clause of the
-- function: a role without superuser may not create such a function before pgvector is loaded.

CREATE FUNCTION public.rrf_score(weight double precision, list_rank bigint, rrf_k integer)
RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(weight / (rrf_k + list_rank), 0);

COMMENT ON FUNCTION public.rrf_score IS 'What one ranked list adds to a score; 0 for no rank';

-- Sets what an HNSW scan visits until the transaction ends or set_hnsw_search is called with what
-- it returned: {ef_search, iterative_scan} as they were before.
CREATE FUNCTION public.set_hnsw_search(settings text[]) RETURNS text[]
LANGUAGE plpgsql SET search_path = public, pg_temp
AS $$
DECLARE
	before text[];
BEGIN
	PERFORM '[1]'::halfvec; -- loads pgvector, which knows the two settings
	before := ARRAY[current_setting('hnsw.ef_search'), current_setting('hnsw.iterative_scan')];
	PERFORM set_config('hnsw.ef_search', settings[1], true);
	PERFORM set_config('hnsw.iterative_scan', settings[2], true);
	RETURN before;
END
$$;

CREATE FUNCTION public.hybrid_search_opportunities(
	query_text text,
	query_embedding public.halfvec,
	result_limit integer DEFAULT 10,
	text_weight double precision DEFAULT 0.3,
	vector_weight double precision DEFAULT 0.7,
	rrf_k integer DEFAULT 60,
	ef_search integer DEFAULT 200)
RETURNS TABLE (opportunity_id uuid, title text, score double precision,
	text_rank bigint, vector_rank bigint, text_similarity real, vector_similarity double precision)
LANGUAGE plpgsql SET search_path = public, pg_temp
AS $$
DECLARE
	candidates integer := greatest(result_limit * 4, 100);
	before text[] := set_hnsw_search(ARRAY[ef_search::text, 'strict_order']);
BEGIN
	RETURN QUERY
	WITH by_text AS (
		SELECT f.id, f.similarity, row_number() OVER (ORDER BY f.similarity DESC, f.id) AS place
		FROM (
			SELECT o.id, greatest(similarity(o.title, query_text),
				coalesce(word_similarity(query_text, o.description), 0)) AS similarity
			FROM opportunities o
			WHERE o.status = 'open' AND (o.title % query_text OR query_text <% o.description)
			ORDER BY 2 DESC, 1 LIMIT candidates
		) f
	), by_vector AS (
		SELECT n.id, n.distance, row_number() OVER (ORDER BY n.distance, n.id) AS place
		FROM (
			SELECT o.id, o.embedding <=> query_embedding AS distance
			FROM opportunities o
			WHERE o.status = 'open' AND o.embedding IS NOT NULL AND query_embedding IS NOT NULL
			ORDER BY o.embedding <=> query_embedding LIMIT candidates
		) n
	)
	SELECT o.id, o.title,
		rrf_score(text_weight, t.place, rrf_k) + rrf_score(vector_weight, v.place, rrf_k),
		t.place, v.place, t.similarity, 1 - v.distance
	FROM by_text t FULL JOIN by_vector v USING (id) JOIN opportunities o USING (id)
	ORDER BY 3 DESC, 1 LIMIT result_limit;
	PERFORM set_hnsw_search(before);
END
$$;

CREATE FUNCTION public.hybrid_search_repositories(
	query_text text,
	query_embedding public.halfvec,
	result_limit integer DEFAULT 10,
	text_weight double precision DEFAULT 0.3,
	vector_weight double precision DEFAULT 0.7,
	rrf_k integer DEFAULT 60,
	ef_search integer DEFAULT 200)
RETURNS TABLE (repository_id uuid, full_name text, score double precision,
	text_rank bigint, vector_rank bigint, text_similarity real, vector_similarity double precision)
LANGUAGE plpgsql SET search_path = public, pg_temp
AS $$
DECLARE
	candidates integer := greatest(result_limit * 4, 100);
	before text[] := set_hnsw_search(ARRAY[ef_search::text, 'strict_order']);
BEGIN
	RETURN QUERY
	WITH by_text AS (
		SELECT f.id, f.similarity, row_number() OVER (ORDER BY f.similarity DESC, f.id) AS place
		FROM (
			SELECT r.id, greatest(similarity(r.full_name, query_text),
				coalesce(word_similarity(query_text, r.description), 0)) AS similarity
			FROM repositories r
			WHERE NOT r.is_archived AND (r.full_name % query_text OR query_text <% r.description)
			ORDER BY 2 DESC, 1 LIMIT candidates
		) f
	), by_vector AS (
		SELECT n.id, n.distance, row_number() OVER (ORDER BY n.distance, n.id) AS place
		FROM (
			SELECT r.id, r.embedding <=> query_embedding AS distance
			FROM repositories r
			WHERE NOT r.is_archived AND r.embedding IS NOT NULL AND query_embedding IS NOT NULL
			ORDER BY r.embedding <=> query_embedding LIMIT candidates
		) n
	)
	SELECT r.id, r.full_name,
		rrf_score(text_weight, t.place, rrf_k) + rrf_score(vector_weight, v.place, rrf_k),
		t.place, v.place, t.similarity, 1 - v.distance
	FROM by_text t FULL JOIN by_vector v USING (id) JOIN repositories r USING (id)
	ORDER BY 3 DESC, 1 LIMIT result_limit;
	PERFORM set_hnsw_search(before);
END
$$;

-- The users nearest to one user; nobody where that user has no embedding.
CREATE FUNCTION public.search_similar_users(
	for_user uuid,
	result_limit integer DEFAULT 10,
	min_similarity double precision DEFAULT 0,
	ef_search integer DEFAULT 200)
RETURNS TABLE (user_id uuid, username text, similarity double precision)
LANGUAGE plpgsql SET search_path = public, pg_temp
AS $$
DECLARE
	own halfvec := (SELECT u.embedding FROM users u WHERE u.id = for_user);
	before text[];
BEGIN
	IF own IS NULL THEN
		RETURN;
	END IF;
	before := set_hnsw_search(ARRAY[ef_search::text, 'strict_order']);
	RETURN QUERY
	SELECT n.id, n.username, 1 - n.distance
	FROM (
		SELECT u.id, u.username, u.embedding <=> own AS distance
		FROM users u
		WHERE u.id <> for_user AND u.embedding IS NOT NULL
		ORDER BY u.embedding <=> own LIMIT result_limit
	) n
	WHERE 1 - n.distance >= min_similarity
	ORDER BY n.distance, n.id;
	PERFORM set_hnsw_search(before);
END
$$;

-- Open opportunities for a user: by what they look for (or who they are, if they never said) and by
-- their skills; of the difficulties, kinds and languages they asked for; none they worked on already.
CREATE FUNCTION public.find_matching_opportunities_for_user(
	for_user uuid,
	result_limit integer DEFAULT 10,
	text_weight double precision DEFAULT 0.3,
	vector_weight double precision DEFAULT 0.7,
	rrf_k integer DEFAULT 60,
	ef_search integer DEFAULT 200)
RETURNS TABLE (opportunity_id uuid, title text, repository text, score double precision,
	text_rank bigint, vector_rank bigint)
LANGUAGE sql SET search_path = public, pg_temp
AS $$
	SELECT o.id, o.title, r.full_name, found.score, found.text_rank, found.vector_rank
	FROM users u
	LEFT JOIN user_preferences p ON p.user_id = u.id
	CROSS JOIN LATERAL hybrid_search_opportunities(
		nullif(array_to_string(u.skills, ' '), ''), coalesce(p.interest_embedding, u.embedding),
		least(result_limit * 20, 1000), text_weight, vector_weight, rrf_k, ef_search) found
	JOIN opportunities o ON o.id = found.opportunity_id
	JOIN repositories r ON r.id = o.repository_id
	WHERE u.id = for_user
		AND (coalesce(p.difficulties, '{}') = '{}' OR o.difficulty = ANY (p.difficulties))
		AND (coalesce(p.kinds, '{}') = '{}' OR o.kind = ANY (p.kinds))
		AND (coalesce(p.languages, '{}') = '{}' OR r.primary_language = ANY (p.languages))
		AND NOT EXISTS (SELECT FROM contribution_outcomes c
			WHERE c.user_id = u.id AND c.opportunity_id = o.id)
	ORDER BY found.score DESC, o.id
	LIMIT result_limit
$$;
