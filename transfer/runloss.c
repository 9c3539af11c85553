/* runloss - before anything is read: what columns that become halfvec lose, and whether they can.
 */
#include "transfer/runpriv.h"

#include "schema/halfvec.h"

static json_int_t number(const json_t *loss, const char *key)
{
	return json_integer_value(json_object_get(loss, key));
}

static void tell(struct run *r, const json_t *loss)
{
	json_int_t zeroed = number(loss, "zeroed");
	AUTO_TEXT struct text t = TEXT_INIT;

	text_addf(&t,
		  "%s.%s becomes halfvec: of %" JSON_INTEGER_FORMAT
		  " vectors each loses at most %.2g %% of its "
		  "length and turns by a cosine distance of at most %.2g",
		  json_string_value(json_object_get(loss, "table")),
		  json_string_value(json_object_get(loss, "column")), number(loss, "vectors"),
		  100 * json_number_value(json_object_get(loss, "max_relative_error")),
		  json_number_value(json_object_get(loss, "max_cosine_distance")));
	if (zeroed > 0)
		text_addf(&t, "; %" JSON_INTEGER_FORMAT " become zero", zeroed);
	event_emit(r->events, zeroed > 0 ? EVENT_WARNING : EVENT_NOTICE, "halfvec.loss",
		   json_deep_copy(loss), "%s", text_str(&t));
}

static int refuse(const json_t *loss, const struct table *t, struct err *e)
{
	const char *at = json_string_value(json_object_get(loss, "one_out_of_range"));

	err_set(e, ERR_REFUSED,
		"source: column %s of %s has numbers beyond " HALFVEC_MOST
		" and cannot become halfvec: in %" JSON_INTEGER_FORMAT " of its rows, one is %s",
		json_string_value(json_object_get(loss, "column")), t->qname,
		number(loss, "out_of_range"), at);
	return err_hint(e,
			"go without --halfvec for this column, or look at the row: SELECT * FROM "
			"%s WHERE ctid = '%s'",
			t->qname, at);
}

static int measure(struct run *r, const struct table *t, bool refuses, struct err *e)
{
	json_t *losses = r->plan->losses;
	size_t i = json_array_size(losses);

	if (halfvec_loss(r->source_pg, t, losses, e) < 0)
		return -1;
	for (; i < json_array_size(losses); i++) {
		const json_t *loss = json_array_get(losses, i);

		if (refuses && number(loss, "out_of_range") > 0)
			return refuse(loss, t, e);
		tell(r, loss);
	}
	return 0;
}

int run_measure_losses(struct run *r, bool refuses, struct err *e)
{
	if (r->settings.n_halfvec == 0)
		return 0;
	for (int k = 0; k < r->plan->n_tables; k++) {
		const struct plan_table *t = &r->plan->tables[k];
		const struct table *from = catalog_table(r->source_catalog, t->schema, t->name);

		if (from && measure(r, from, refuses, e) < 0)
			return -1;
	}
	return 0;
}
