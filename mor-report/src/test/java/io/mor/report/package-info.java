/** Tests of the report: its figures, and the page itself in a real browser. */
package io.mor.report;
