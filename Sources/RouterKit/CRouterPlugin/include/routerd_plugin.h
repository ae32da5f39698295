/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The version gate of a routerd plugin. Swift has no stable ABI between this SDK and its plugins, so calling into a
 * plugin that was built against another SDK or by another compiler crashes at the first call. Each plugin therefore
 * exports this plain C struct; the loader reads it with dlsym(3) and compares it before it calls anything.
 *
 * A plugin has one C file:
 *
 *     #include <routerd_plugin.h>
 *     ROUTERD_PLUGIN("isp.example", "1.0.0")
 *
 * and one Swift function with the C name `routerd_plugin_main`, which registers what the plugin provides.
 */
#ifndef ROUTERD_PLUGIN_H
#define ROUTERD_PLUGIN_H

#include <stdint.h>

/* Raised when a plugin built against an older SDK could no longer work. */
#define ROUTERD_PLUGIN_API_MAJOR 1
/* Raised when something was added that older plugins need not know. A plugin may not be newer than the daemon. */
#define ROUTERD_PLUGIN_API_MINOR 0

/* The names that the loader looks up. */
#define ROUTERD_PLUGIN_DESCRIPTOR_SYMBOL "routerd_plugin_descriptor"
#define ROUTERD_PLUGIN_MAIN_SYMBOL "routerd_plugin_main"

/* "RTRD": tells a plugin from any other shared object that happens to have the symbol. */
#define ROUTERD_PLUGIN_MAGIC 0x52545244u

/* What a plugin says of itself. Fields are only ever appended; the first four never move. */
struct routerd_plugin_descriptor {
  uint32_t magic;
  uint32_t api_major;
  uint32_t api_minor;
  uint32_t size;
  /* The compiler that built the plugin: clang and swiftc of one toolchain carry one build id. */
  const char *compiler;
  /* "isp.NAME" or "dataplane.NAME". */
  const char *id;
  const char *version;
};

/* clang's own version text, which names the exact toolchain build; a -D overrides it in tests of the gate. */
#ifndef ROUTERD_PLUGIN_COMPILER
#define ROUTERD_PLUGIN_COMPILER __VERSION__
#endif

#define ROUTERD_PLUGIN(plugin_id, plugin_version)                                                      \
  __attribute__((visibility("default"), used)) const struct routerd_plugin_descriptor                  \
      routerd_plugin_descriptor = {ROUTERD_PLUGIN_MAGIC,                                               \
                                   ROUTERD_PLUGIN_API_MAJOR,                                           \
                                   ROUTERD_PLUGIN_API_MINOR,                                           \
                                   sizeof(struct routerd_plugin_descriptor),                           \
                                   ROUTERD_PLUGIN_COMPILER,                                            \
                                   plugin_id,                                                          \
                                   plugin_version};

/* The entry of a plugin; `registrar` is a PluginRegistrar of RouterKit. Called once, after the gate. */
typedef void (*routerd_plugin_main_function)(void *registrar);

/* The compiler that built the SDK, to compare with. */
const char *routerd_sdk_compiler(void);

#endif
