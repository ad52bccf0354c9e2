/** Tests of studies. */
package io.mor.study;
