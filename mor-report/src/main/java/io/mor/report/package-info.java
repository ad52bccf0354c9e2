/** The report of a study as one HTML file. */
package io.mor.report;
