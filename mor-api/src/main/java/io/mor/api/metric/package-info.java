/** Where figures go. */
package io.mor.api.metric;
