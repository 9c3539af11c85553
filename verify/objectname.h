/*
 * objectname - names of the catalog's model as people read them.
 *
 * The model writes names as SQL quotes them ("public.\"Items\".touched"); findings, waivers and the
 * pairs of tables have them without quotes, and parts of a table as "touched on public.Items".
 */
#ifndef VERIFY_OBJECTNAME_H
#define VERIFY_OBJECTNAME_H

#include "schema/model.h"

/* Without quotes, but those in a function's arguments. */
void objectname_plain(struct text *t, const char *name);
/* What findings call it. */
void objectname_show(struct text *t, const struct model_object *o);
/* The parameter that a setting of the database sets; name itself, if it is one of a role. */
const char *objectname_setting(const char *name);

#endif
