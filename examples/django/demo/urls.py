from django.urls import path

from demo import views

urlpatterns = [
    path("", views.me),
    path("public/", views.me),
    path("api/me/", views.Me.as_view()),
    path("api/reports/", views.Reports.as_view()),
]
