/** Seeded defects, each of which a contract of the testkit or one of its wrappers must find. */
package io.mor.defects;
