DROP FUNCTION public.find_matching_opportunities_for_user;
DROP FUNCTION public.search_similar_users;
DROP FUNCTION public.hybrid_search_repositories;
DROP FUNCTION public.hybrid_search_opportunities;
DROP FUNCTION public.set_hnsw_search;
DROP FUNCTION public.rrf_score;
