-- vector_documents: search by metadata

CREATE INDEX vector_documents_metadata ON public.vector_documents USING gin (metadata jsonb_path_ops);
CREATE INDEX vector_documents_record_type
	ON public.vector_documents (collection_name, (metadata ->> 'record_type'));
