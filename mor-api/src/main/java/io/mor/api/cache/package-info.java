/** What is stored and read at each recursion. */
package io.mor.api.cache;
