/*
 * replay - runs a fuzz target over kept inputs: every file of the folder that is named.
 */
#include "fuzz.h"

#include "common/file.h"

#include <dirent.h>

static int run_file(const char *dir, const char *name)
{
	AUTO(free) char *path = file_path(dir, name), *data = NULL;
	struct err e = ERR_INIT;
	size_t len;

	if (file_read(path, 64 << 20, &data, &len, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return -1;
	}
	LLVMFuzzerTestOneInput((const uint8_t *)data, len);
	return 0;
}

int main(int argc, char **argv)
{
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	struct dirent *entry;
	int n = 0;

	if (!dir) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (run_file(argv[1], entry->d_name))
			return 1;
		n++;
	}
	closedir(dir);
	printf("%d inputs\n", n);
	return n > 0 ? 0 : 1;
}
