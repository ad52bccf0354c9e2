/** What a study found, and the database in which it is kept. */
package io.mor.study;
