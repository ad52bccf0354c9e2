/** Routers without parameters: random and fixed depth. */
package io.mor.router.baselines;
