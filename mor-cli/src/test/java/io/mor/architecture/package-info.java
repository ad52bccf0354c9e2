/** What holds between modules and packages, read from the packaged jars. */
package io.mor.architecture;
