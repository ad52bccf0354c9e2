/** The layers that are applied again and again. */
package io.mor.api.block;
