/** Token-choice routing: the depth of a token is decided once. */
package io.mor.router.tokenchoice;
