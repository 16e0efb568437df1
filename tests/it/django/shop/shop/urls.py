"""The shop's own API, and the sign-in of the tutorial beside it."""

from django.contrib import admin
from django.urls import include, path

from accounts import views as accounts
from orders import views as orders

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api-auth/create/", accounts.Create.as_view()),
    path("api-auth/currentUser/", accounts.CurrentUser.as_view()),
    path("api-auth/", include("drf_social_oauth2.urls", namespace="drf")),
    path("catalogue/", orders.Catalogue.as_view()),
    path("orders/", orders.Orders.as_view()),
    path("reports/", orders.Reports.as_view()),
]
