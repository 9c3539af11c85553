#include "schema/coltype.h"

#include "schema/query.h"

#include <stdlib.h>
#include <string.h>

/* Objects below this number are made by the bootstrap: the same in every server. */
#define FIRST_UNPINNED_OID 10000

/* How deep domains, arrays and composites may be nested; the server itself allows no cycle. */
#define MAX_DEPTH 64

enum state { UNKNOWN, BUSY, KNOWN };

struct coltype {
	uint32_t oid;
	const char *name, *qname;
	char kind; /* typtype: b, c, d, e, m, p, r */
	bool is_array, has_receive, is_reg;
	const char *send, *extension, *parts;

	enum state state;
	char *why; /* why not in binary; NULL: in binary */
	enum digest_mode mode;
	const char *extension_inside; /* of this type, or of a part of it */
};

struct coltypes {
	PGresult *res; /* holds the strings */
	int n;
	struct coltype list[];
};

int coltypes_new(struct coltypes **ret, PGresult *res, struct err *e)
{
	int n = PQntuples(res);
	struct coltypes *types = calloc(1, sizeof(*types) + (size_t)n * sizeof(types->list[0]));
	if (!types) {
		PQclear(res);
		return err_nomem(e);
	}
	types->res = res;
	types->n = n;
	for (int i = 0; i < n; i++)
		types->list[i] = (struct coltype){
			.oid = query_oid(res, i, QY_OID),
			.name = query_text(res, i, QY_NAME),
			.qname = query_text(res, i, QY_QNAME),
			.kind = query_char(res, i, QY_KIND),
			.is_array = query_bool(res, i, QY_IS_ARRAY),
			.has_receive = query_bool(res, i, QY_HAS_RECEIVE),
			.is_reg = query_bool(res, i, QY_IS_REG),
			.send = query_text(res, i, QY_SEND),
			.extension = query_text(res, i, QY_EXTENSION),
			.parts = query_text(res, i, QY_PARTS),
		};
	*ret = types;
	return 0;
}

void coltypes_free(struct coltypes *types)
{
	if (!types)
		return;
	for (int i = 0; i < types->n; i++)
		free(types->list[i].why);
	PQclear(types->res);
	free(types);
}

static int by_oid(const void *key, const void *element)
{
	uint32_t oid = *(const uint32_t *)key;
	const struct coltype *type = element;
	return oid < type->oid ? -1 : oid > type->oid;
}

static struct coltype *find(struct coltypes *types, uint32_t oid, struct err *e)
{
	struct coltype *type =
		bsearch(&oid, types->list, (size_t)types->n, sizeof(types->list[0]), by_oid);
	if (!type)
		err_set(e, ERR_INTERNAL, "type %u is used by a column but was not read", oid);
	return type;
}

static int set_why(struct coltype *type, const char *why, struct err *e)
{
	AUTO_TEXT struct text text = TEXT_INIT;

	text_addf(&text, why, type->qname);
	free(type->why);
	type->why = text_take(&text, e);
	return type->why ? 0 : -1;
}

static int resolve(struct coltypes *types, struct coltype *type, int depth, struct err *e);

/* A type made of parts goes in binary only if each part does. */
static int resolve_parts(struct coltypes *types, struct coltype *type, int depth, struct err *e)
{
	type->extension_inside = type->extension;
	for (const char *p = type->parts; p && *p && !type->why;) {
		char *end;
		struct coltype *part = find(types, (uint32_t)strtoul(p, &end, 10), e);
		if (!part || resolve(types, part, depth + 1, e) != 0)
			return -1;
		if (!type->extension_inside)
			type->extension_inside = part->extension_inside;
		if (part->why) {
			type->why = strdup(part->why);
			if (!type->why)
				return err_nomem(e);
		}
		p = *end == ' ' ? end + 1 : end;
	}
	return 0;
}

/* What a type is by itself, parts aside. */
static int resolve_self(struct coltype *type, struct err *e)
{
	type->mode = DIGEST_TEXT;
	if (type->is_reg)
		return set_why(type, "the binary form of %s is a number of this database only", e);
	if (type->kind == 'p')
		return set_why(type, "%s is a pseudo-type", e);
	if (!type->send || !type->has_receive)
		return set_why(type, "%s has no binary input and output functions", e);
	if (type->kind == 'c')
		return 0;
	if (type->oid < FIRST_UNPINNED_OID)
		type->mode = DIGEST_SELF;
	else if (type->kind == 'e' || (type->kind == 'b' && !type->is_array))
		type->mode = DIGEST_SEND;
	return 0;
}

static int resolve(struct coltypes *types, struct coltype *type, int depth, struct err *e)
{
	if (type->state == KNOWN)
		return 0;
	if (type->state == BUSY || depth > MAX_DEPTH)
		return err_set(e, ERR_INTERNAL, "type %s is nested too deeply", type->qname);
	type->state = BUSY;
	if (resolve_parts(types, type, depth, e) != 0)
		return -1;
	if (type->why)
		type->mode = DIGEST_TEXT;
	else if (resolve_self(type, e) != 0)
		return -1;
	type->state = KNOWN;
	return 0;
}

/* The type below all domains. */
static struct coltype *base_of(struct coltypes *types, uint32_t oid, struct err *e)
{
	struct coltype *type = find(types, oid, e);
	for (int depth = 0; type && type->kind == 'd' && depth < MAX_DEPTH; depth++)
		type = find(types, (uint32_t)strtoul(type->parts ? type->parts : "0", NULL, 10), e);
	return type;
}

static bool is_vector_type(const struct coltype *type, const char *name)
{
	return type->kind == 'b' && type->extension && strcmp(type->extension, "vector") == 0 &&
	       strcmp(type->name, name) == 0;
}

int coltypes_column(struct coltypes *types, struct column *column, struct err *e)
{
	struct coltype *type = base_of(types, column->type_oid, e);
	if (!type || resolve(types, type, 0, e) != 0)
		return -1;

	column->binary = !type->why;
	column->not_binary_why = type->why;
	column->extension = type->extension_inside;
	column->is_vector = is_vector_type(type, "vector");
	column->is_vector_like = column->is_vector || is_vector_type(type, "halfvec") ||
				 is_vector_type(type, "sparsevec");
	column->digest = (struct digest_column){
		.name = column->name,
		.mode = type->mode,
		.type_oid = type->mode == DIGEST_SELF   ? type->oid
			    : type->mode == DIGEST_SEND ? DIGEST_OID_BYTEA
							: DIGEST_OID_TEXT,
		.base_type = type->oid != column->type_oid ? type->qname : NULL,
		.send_fn = type->mode == DIGEST_SEND ? type->send : NULL,
	};
	return 0;
}
