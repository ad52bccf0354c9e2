/** The command line: commands in this process, and the launcher as a process of its own. */
package io.mor.cli;
