/** Finding plugins and building what they bring. */
package io.mor.runtime.plugin;
