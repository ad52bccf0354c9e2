/** The commands, one class each, and how they speak to the terminal. */
package io.mor.cli;
