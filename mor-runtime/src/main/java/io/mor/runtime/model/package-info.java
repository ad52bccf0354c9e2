/** The walk of a model through its layers and recursions. */
package io.mor.runtime.model;
