/** The scalar backend in double precision. */
package io.mor.backend.reference;
