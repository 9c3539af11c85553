-- The extension stays: others may use it, and a role without superuser may not drop it.

DROP TABLE public.vector_documents;
