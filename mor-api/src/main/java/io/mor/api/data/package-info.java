/** Text, tokens and inputs. */
package io.mor.api.data;
