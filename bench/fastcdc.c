/* The loop of FastCDC as the chunker's kernel has it, two bytes a step, for bench/chunker.mjs.
   usage: fastcdc TABLE DATA MIN AVERAGE MAX WINDOW ROUNDS; TABLE is 256 little-endian u64.
   Prints for each round: bytes, CPU seconds, chunks, and a checksum of the cuts. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t table[512];

static size_t scan(const uint8_t *source, size_t length, int bits, uint64_t *state) {
  const uint64_t mask = (((uint64_t)1 << bits) - 1) << (63 - bits), mask2 = mask << 1;
  uint64_t hash = *state;
  size_t at = 0;
  for (; at + 1 < length; at += 2) {
    hash = (hash << 2) + table[256 + source[at]];
    if ((hash & mask2) == 0) return at + 1;
    hash += table[source[at + 1]];
    if ((hash & mask) == 0) return at + 2;
  }
  if (at < length) {
    hash = (hash << 1) + table[source[at]];
    if ((hash & mask) == 0) return length;
  }
  *state = hash;
  return 0;
}

static size_t min_of(size_t a, size_t b) { return a < b ? a : b; }

static size_t chunk_length(const uint8_t *source, size_t length, size_t least, size_t average, size_t most, int bits) {
  uint64_t hash = 0;
  if (length <= least) return length;
  size_t end = min_of(average, length);
  size_t found = scan(source + least, end - least, bits + 2, &hash);
  if (found) return least + found;
  if (end == length) return length;
  size_t last = min_of(most, length);
  found = scan(source + end, last - end, bits - 2, &hash);
  return found ? end + found : last;
}

static void *load(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (!file) exit(2);
  fseek(file, 0, SEEK_END);
  *length = (size_t)ftell(file);
  rewind(file);
  void *bytes = malloc(*length);
  if (!bytes || fread(bytes, 1, *length, file) != *length) exit(2);
  fclose(file);
  return bytes;
}

static double cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int count, char **words) {
  if (count != 8) return 2;
  size_t length, table_length;
  const uint64_t *gear = load(words[1], &table_length);
  const uint8_t *data = load(words[2], &length);
  if (table_length != 2048) return 2;
  for (int entry = 0; entry < 256; entry++) table[entry] = gear[entry], table[256 + entry] = gear[entry] << 1;
  const size_t least = strtoull(words[3], 0, 10), average = strtoull(words[4], 0, 10), most = strtoull(words[5], 0, 10);
  const size_t window = strtoull(words[6], 0, 10);
  const int bits = __builtin_ctzll(average);
  for (int round = atoi(words[7]); round > 0; round--) {
    const double begin = cpu_seconds();
    uint64_t chunks = 0, checksum = 0;
    for (size_t start = 0; start < length; start += window) {
      const size_t end = min_of(start + window, length);
      for (size_t at = start; at < end; chunks++) {
        at += chunk_length(data + at, end - at, least, average, most, bits);
        checksum = (checksum * 31 + at) % 1000003;
      }
    }
    printf("%zu %.6f %llu %llu\n", length, cpu_seconds() - begin, (unsigned long long)chunks, (unsigned long long)checksum);
  }
  return 0;
}
