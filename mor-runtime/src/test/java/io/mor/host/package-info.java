/** A host program, started by tests as a process of its own. */
package io.mor.host;
