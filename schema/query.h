/*
 * query - the SQL that reads a database's catalogs, and access to the rows it returns.
 *
 * Each text asks for all objects of one sort at once, in an order that the reader relies on. The
 * columns of a result are the values of the enum beside it.
 */
#ifndef SCHEMA_QUERY_H
#define SCHEMA_QUERY_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* SQL: true of a schema n that is the user's: not the server's, nor Neon's, nor our own. */
#define QUERY_USER_SCHEMA                                                                          \
	"n.nspname !~ '^pg_' AND n.nspname NOT IN"                                                 \
	" ('information_schema', 'neonferry', 'neon', 'neon_migration')"

extern const char query_database[];
enum query_database_column { QD_VERSION, QD_NAME, QD_ENCODING, QD_COLLATE, QD_LARGE_OBJECTS };

extern const char query_tables[]; /* by schema, name, in byte order */
enum query_table_column {
	QT_OID,
	QT_SCHEMA,
	QT_NAME,
	QT_QNAME,
	QT_KIND,
	QT_PERSISTENCE,
	QT_FILENODE,
	QT_ACCESS_METHOD,
	QT_PAGES,
	QT_BYTES,
	QT_ROWS,
	QT_ROW_SECURITY,
	QT_FORCE_ROW_SECURITY,
	QT_RLS_BLOCKS_US,
	QT_CAN_SELECT,
	QT_CAN_INSERT,
	QT_CAN_TRUNCATE,
	QT_IS_OWNER,
	QT_PRIMARY_KEY,
	QT_IS_PARTITION,
	QT_BOUND,
	QT_PARENT,
	QT_HAS_CHILDREN,
	QT_IS_REFERENCED,
	QT_OPTIONS,
};

extern const char query_columns[]; /* by table OID, attnum */
enum query_column_column {
	QC_TABLE,
	QC_NAME,
	QC_NUM,
	QC_TYPE,
	QC_TYPE_OID,
	QC_TYPMOD,
	QC_NOT_NULL,
	QC_IDENTITY,
	QC_GENERATED,
	QC_DEFAULT,
	QC_COLLATION,
};

/* Every type that a column uses, and every type that those are made of. By OID. */
extern const char query_types[];
enum query_type_column {
	QY_OID,
	QY_NAME,
	QY_QNAME,
	QY_KIND,
	QY_IS_ARRAY,
	QY_SEND,
	QY_HAS_RECEIVE,
	QY_IS_REG,
	QY_EXTENSION,
	QY_PARTS,
	QY_N,
};

extern const char query_extensions[]; /* installed ones first, then available ones; by name */
enum query_extension_column { QE_NAME, QE_VERSION, QE_SCHEMA, QE_AVAILABLE };

extern const char query_sequences[]; /* by schema, name, in byte order */
enum query_sequence_column {
	QS_OID,
	QS_SCHEMA,
	QS_NAME,
	QS_QNAME,
	QS_TYPE,
	QS_START,
	QS_MIN,
	QS_MAX,
	QS_INCREMENT,
	QS_CACHE,
	QS_CYCLE,
	QS_OWNER,
	QS_OWNER_TABLE,
	QS_OWNER_COLUMN,
	QS_CAN_READ,
	QS_CAN_WRITE,
};

/* One field: borrowed from the result, NULL for SQL NULL; or converted, 0 and false for NULL. */
const char *query_text(const PGresult *res, int row, int column);
bool query_bool(const PGresult *res, int row, int column);
int64_t query_int(const PGresult *res, int row, int column);
uint32_t query_oid(const PGresult *res, int row, int column);
char query_char(const PGresult *res, int row, int column); /* '\0' for an empty string too */

#endif
