"""(order, context) to a sized order or a denial: ordered rules, profiles, the one sizer."""
