/** Golden cases: what a reference computed, and how this system compares. */
package io.mor.runtime.conformance;
