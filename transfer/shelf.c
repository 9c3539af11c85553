#include "transfer/shelf.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Below this a huge page would be mostly air. */
#define HUGE_PAGE  ((size_t)2 << 20)
#define SMALL_PAGE ((size_t)4096)

struct shelf {
	pthread_mutex_t mu;
	size_t size;
	int keep, n;
	char **buffers;
};

int shelf_new(struct shelf **ret, size_t size, int keep, struct err *e)
{
	struct shelf *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(e);
	s->buffers = calloc((size_t)keep + 1, sizeof(*s->buffers));
	if (!s->buffers) {
		free(s);
		return err_nomem(e);
	}
	s->size = size;
	s->keep = keep;
	pthread_mutex_init(&s->mu, NULL);
	*ret = s;
	return 0;
}

void shelf_free(struct shelf *s)
{
	if (!s)
		return;
	for (int i = 0; i < s->n; i++)
		free(s->buffers[i]);
	free(s->buffers);
	pthread_mutex_destroy(&s->mu);
	free(s);
}

size_t shelf_size(const struct shelf *s)
{
	return s->size;
}

/* A page fault for every 4 kB costs more than copying them: huge pages, where the system has them.
 */
char *shelf_buffer(size_t size)
{
	char *buffer;

	if (size < 2 * HUGE_PAGE)
		return aligned_alloc(SMALL_PAGE, (size + SMALL_PAGE - 1) / SMALL_PAGE * SMALL_PAGE);
	buffer = aligned_alloc(HUGE_PAGE, (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
	if (buffer)
		(void)madvise(buffer, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
	return buffer;
}

char *shelf_take(struct shelf *s)
{
	char *buffer = NULL;

	pthread_mutex_lock(&s->mu);
	if (s->n > 0)
		buffer = s->buffers[--s->n];
	pthread_mutex_unlock(&s->mu);
	return buffer ? buffer : shelf_buffer(s->size);
}

void shelf_give(struct shelf *s, char *buffer)
{
	pthread_mutex_lock(&s->mu);
	if (s->n < s->keep) {
		s->buffers[s->n++] = buffer;
		buffer = NULL;
	}
	pthread_mutex_unlock(&s->mu);
	free(buffer);
}
