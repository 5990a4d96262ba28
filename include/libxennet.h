#ifndef LIBXENNET_H
#define LIBXENNET_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The version of the library, as a string that lives as long as the program: `"0.1.0"`.
 */
const char *xennet_version(void);

#ifdef __cplusplus
}
#endif

#endif /* LIBXENNET_H */
