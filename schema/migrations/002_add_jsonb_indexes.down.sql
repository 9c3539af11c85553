DROP INDEX public.vector_documents_record_type;
DROP INDEX public.vector_documents_metadata;
