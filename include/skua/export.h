#pragma once

/** Marks what libskua exports; every other symbol stays inside it. */
#if defined(__GNUC__)
#define SKUA_API __attribute__((visibility("default")))
#else
#define SKUA_API
#endif
