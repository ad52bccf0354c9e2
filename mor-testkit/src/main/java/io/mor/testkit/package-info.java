/** Contract tests as base classes, and asserting wrappers. */
package io.mor.testkit;
