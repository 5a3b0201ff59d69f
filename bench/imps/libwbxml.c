/* CPU of libwbxml for the documents of a folder: `libwbxml ROUNDS RUNS FILE...`. Prints for each file and round the
 * nanoseconds to read it into a tree, to write the tree as WBXML, and the octets written. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <wbxml/wbxml.h>

/* The library exports its trees, and Debian's headers leave them out: as in wbxml_tree.h and wbxml.h of 0.11. */
typedef struct WBXMLTree_s WBXMLTree;
WBXMLError wbxml_tree_from_wbxml(WB_UTINY *, WB_ULONG, WBXMLLanguage, WBXMLCharsetMIBEnum, WBXMLTree **);
WBXMLError wbxml_tree_to_wbxml(WBXMLTree *, WB_UTINY **, WB_ULONG *, WBXMLGenWBXMLParams *);
void wbxml_tree_destroy(WBXMLTree *);
void wbxml_free(void *);

static double cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv) {
  int rounds = atoi(argv[1]), runs = atoi(argv[2]);
  for (int round = 0; round < rounds; round++) {
    for (int at = 3; at < argc; at++) {
      FILE *file = fopen(argv[at], "rb");
      if (!file) return 1;
      static WB_UTINY octets[65536];
      WB_ULONG length = (WB_ULONG)fread(octets, 1, sizeof octets, file);
      fclose(file);
      double start = cpu_ns();
      for (int run = 0; run < runs; run++) {
        WBXMLTree *tree = NULL;
        if (wbxml_tree_from_wbxml(octets, length, WBXML_LANG_WV_CSP12, WBXML_CHARSET_UNKNOWN, &tree) != WBXML_OK) return 2;
        wbxml_tree_destroy(tree);
      }
      double decode = (cpu_ns() - start) / runs;
      WBXMLTree *tree = NULL;
      wbxml_tree_from_wbxml(octets, length, WBXML_LANG_WV_CSP12, WBXML_CHARSET_UNKNOWN, &tree);
      WBXMLGenWBXMLParams params = {WBXML_VERSION_13, FALSE, FALSE, FALSE};
      WB_ULONG written = 0;
      start = cpu_ns();
      for (int run = 0; run < runs; run++) {
        WB_UTINY *out = NULL;
        if (wbxml_tree_to_wbxml(tree, &out, &written, &params) != WBXML_OK) return 3;
        wbxml_free(out);
      }
      printf("%d %.0f %.0f %lu\n", at - 3, decode, (cpu_ns() - start) / runs, (unsigned long)written);
      wbxml_tree_destroy(tree);
    }
  }
  return 0;
}
