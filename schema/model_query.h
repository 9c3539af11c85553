/*
 * model_query - the SQL of the model, one text a kind. Private to schema/model*.
 *
 * Columns: kind, name, table or NULL, then attributes under their own names; those that begin with
 * an underscore are facts, which are not compared.
 */
#ifndef SCHEMA_MODEL_QUERY_H
#define SCHEMA_MODEL_QUERY_H

extern const char *const model_queries[]; /* NULL-terminated */

#endif
