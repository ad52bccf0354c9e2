/** How a plugin says what it brings. */
package io.mor.api.plugin;
