/** Which tokens go through which recursion. */
package io.mor.api.routing;
