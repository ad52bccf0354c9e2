/** The sizes all parts agree on. */
package io.mor.api.model;
