/* Functions of one variable with their first three derivatives, as in `operations/functions.rs`, which says more.

   FUNCTION(name, body): the body fills d[0] .. d[3] at x, with the constants p and q. All of it is in double precision,
   for single-precision entries too, as on the CPU: this is computed once for a point, not once for a product. */

#ifndef HELPERS
#define HELPERS

HELPER void piece(double *d, double value, double slope)
{
    d[0] = value, d[1] = slope, d[2] = 0.0, d[3] = 0.0;
}

/* min(max(x, low), high), which keeps a NaN */
HELPER double between(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

HELPER double sign(double x)
{
    return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : x == 0.0 ? copysign(1.0, x) : x;
}

/* Derivatives of f(g(x)) from those of f at g(x) and of g at x. */
HELPER void compose(double *d, const double *f, const double *g)
{
    d[0] = f[0];
    d[1] = f[1] * g[1];
    d[2] = f[2] * g[1] * g[1] + f[1] * g[2];
    d[3] = f[3] * g[1] * g[1] * g[1] + 3.0 * f[2] * g[1] * g[2] + f[1] * g[3];
}

HELPER void times_x(double *d, double x, const double *f)
{
    d[0] = x * f[0], d[1] = f[0] + x * f[1], d[2] = 2.0 * f[1] + x * f[2], d[3] = 3.0 * f[2] + x * f[3];
}

HELPER void sigmoid_at(double *d, double x)
{
    double e = exp(-fabs(x)), whole = 1.0 / (1.0 + e), s = x >= 0.0 ? whole : e * whole, first = e * whole * whole;
    d[0] = s, d[1] = first, d[2] = first * (1.0 - 2.0 * s), d[3] = first * (1.0 - 6.0 * first);
}

HELPER void tanh_at(double *d, double x)
{
    double t = tanh(x), first = 1.0 - t * t;
    d[0] = t, d[1] = first, d[2] = -2.0 * t * first, d[3] = first * (6.0 * t * t - 2.0);
}

HELPER void softplus_at(double *d, double x)
{
    double s[4];
    sigmoid_at(s, x);
    d[0] = (x > 0.0 ? x : 0.0) + log1p(exp(-fabs(x))), d[1] = s[0], d[2] = s[1], d[3] = s[2];
}

HELPER double raise_to(double x, double p)
{
    if (p == 1.0) return x;
    if (p == 0.0) return 1.0;
    return pow(x, p);
}

/* The derivative of x^p of the given order; a vanishing factor wins over an infinite power. */
HELPER double power_at(double p, int order, double x)
{
    double factor = 1.0;
    for (int k = 0; k < order; k++) factor *= p - k;
    return factor == 0.0 ? 0.0 : factor * raise_to(x, p - order);
}

HELPER void elu_at(double *d, double x, double alpha)
{
    if (x > 0.0) {
        piece(d, x, 1.0);
    } else {
        d[0] = alpha * expm1(x);
        d[1] = d[2] = d[3] = alpha * exp(x);
    }
}

#endif

FUNCTION(relu, { if (x > 0.0) piece(d, x, 1.0); else piece(d, x < 0.0 ? 0.0 : x, 0.0); })
FUNCTION(relu6, { if (x > 0.0 && x < 6.0) piece(d, x, 1.0); else piece(d, between(x, 0.0, 6.0), 0.0); })
FUNCTION(abs, { piece(d, fabs(x), x == 0.0 ? 0.0 : sign(x)); })
FUNCTION(hard_swish, {
    if (x <= -3.0) {
        piece(d, 0.0, 0.0);
    } else if (x >= 3.0) {
        piece(d, x, 1.0);
    } else {
        d[0] = x * (x + 3.0) / 6.0;
        d[1] = x / 3.0 + 0.5;
        d[2] = 1.0 / 3.0;
        d[3] = 0.0;
    }
})
FUNCTION(hard_sigmoid, { piece(d, between(x / 6.0 + 0.5, 0.0, 1.0), x > -3.0 && x < 3.0 ? 1.0 / 6.0 : 0.0); })
FUNCTION(tanh, { tanh_at(d, x); })
FUNCTION(sigmoid, { sigmoid_at(d, x); })
FUNCTION(log_sigmoid, {
    softplus_at(d, -x);
    d[0] = -d[0];
    d[2] = -d[2];
})
FUNCTION(softplus, { softplus_at(d, x); })
FUNCTION(softsign, {
    double w = 1.0 + fabs(x);
    d[0] = x / w;
    d[1] = 1.0 / (w * w);
    d[2] = -2.0 * sign(x) / (w * w * w);
    d[3] = 6.0 / (w * w * w * w);
})
FUNCTION(gelu_erf, {
    double density = 0.3989422804014327 * exp(-0.5 * x * x);
    double cumulative = 0.5 * erfc(-0.7071067811865476 * x);
    d[0] = x * cumulative;
    d[1] = cumulative + x * density;
    d[2] = density * (2.0 - x * x);
    d[3] = x * density * (x * x - 4.0);
})
FUNCTION(gelu, {
    double scale = 0.7978845608028654;
    double cubic = 0.044715;
    double inner[4];
    double outer[4];
    double gate[4];
    inner[0] = scale * (x + cubic * x * x * x);
    inner[1] = scale * (1.0 + 3.0 * cubic * x * x);
    inner[2] = scale * 6.0 * cubic * x;
    inner[3] = scale * 6.0 * cubic;
    tanh_at(outer, inner[0]);
    compose(gate, outer, inner);
    gate[0] = 0.5 * gate[0] + 0.5;
    gate[1] *= 0.5;
    gate[2] *= 0.5;
    gate[3] *= 0.5;
    times_x(d, x, gate);
})
FUNCTION(silu, {
    double s[4];
    sigmoid_at(s, x);
    times_x(d, x, s);
})
FUNCTION(mish, {
    double inner[4];
    double outer[4];
    double gate[4];
    softplus_at(inner, x);
    tanh_at(outer, inner[0]);
    compose(gate, outer, inner);
    times_x(d, x, gate);
})
FUNCTION(selu, {
    double scale = 1.0507009873554805;
    elu_at(d, x, 1.6732632423543772);
    for (int k = 0; k < 4; k++) d[k] *= scale;
})
FUNCTION(erf, {
    double density = 1.1283791670955126 * exp(-x * x);
    d[0] = erf(x);
    d[1] = density;
    d[2] = -2.0 * x * density;
    d[3] = (4.0 * x * x - 2.0) * density;
})
FUNCTION(exp, { d[0] = d[1] = d[2] = d[3] = exp(x); })
FUNCTION(log, {
    d[0] = log(x);
    d[1] = 1.0 / x;
    d[2] = -d[1] * d[1];
    d[3] = 2.0 * d[1] * d[1] * d[1];
})
FUNCTION(sin, {
    d[0] = sin(x);
    d[1] = cos(x);
    d[2] = -d[0];
    d[3] = -d[1];
})
FUNCTION(cos, {
    d[0] = cos(x);
    d[1] = -sin(x);
    d[2] = -d[0];
    d[3] = -d[1];
})
FUNCTION(sqr, {
    d[0] = x * x;
    d[1] = 2.0 * x;
    d[2] = 2.0;
    d[3] = 0.0;
})
FUNCTION(sqrt, {
    d[0] = sqrt(x);
    for (int k = 1; k < 4; k++) d[k] = power_at(0.5, k, x);
})
FUNCTION(rsqrt, { for (int k = 0; k < 4; k++) d[k] = power_at(-0.5, k, x); })
FUNCTION(recip, {
    d[0] = 1.0 / x;
    d[1] = -d[0] * d[0];
    d[2] = 2.0 * d[0] * d[0] * d[0];
    d[3] = -6.0 * (d[0] * d[0]) * (d[0] * d[0]);
})
FUNCTION(powf, { for (int k = 0; k < 4; k++) d[k] = power_at(p, k, x); })
FUNCTION(elu, { elu_at(d, x, p); })
FUNCTION(leaky_relu, { if (x > 0.0) piece(d, x, 1.0); else piece(d, p * x, p); })
FUNCTION(clamp, { if (x > p && x < q) piece(d, x, 1.0); else piece(d, between(x, p, q), 0.0); })
