/*
 * style - the style sheet of the HTML report: light, dark, phone, paper.
 */
#ifndef VERIFY_STYLE_H
#define VERIFY_STYLE_H

extern const char style_css[], style_css_more[]; /* one after the other: a literal has a limit */

#endif
